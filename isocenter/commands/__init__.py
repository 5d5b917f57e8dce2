"""The commands of `isocenter`, one module for each group of them."""
