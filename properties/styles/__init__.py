"""The styles in which layers are written, each brought to the one type."""
