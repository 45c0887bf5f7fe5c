"""What is true: torch autograd, finite differences, the error budget, the comparison, and the referee."""
