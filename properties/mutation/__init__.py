"""Faults planted in the source of a layer's forward and backward, one at a time, and which of them a trial sees."""
