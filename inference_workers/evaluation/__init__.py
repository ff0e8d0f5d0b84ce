"""How well the engines answer: labelled data, real engines, scores. Run by ``affectstream eval``, never by a role."""
