"""How files are written so that they outlast a full disk and a power cut, and who may read them."""
