"""Where pictures come from: digits, slices of brains, phantoms, meshes and shapes, files."""
