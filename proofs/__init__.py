"""Long proofs of what the product promises; `make prove` runs them, the tests a short form."""
