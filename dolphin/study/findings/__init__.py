"""What a study says when it is done."""
