"""The proof: every method on many held-out specifications, for as long as there is time, and what came of it."""
