"""How others tell emotions of faces, on the same pictures as the product."""
