"""What must hold, for which inputs, and everything that tries it: contracts, laws, trials, reports."""
