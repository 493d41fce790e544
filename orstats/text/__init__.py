"""Numbers as people read them, and untrusted text made safe."""
