"""Task x robot: the Gymnasium environment and the types that pass through it."""
