"""What the workers cost: pictures to faces, sound to visemes and emotion."""
