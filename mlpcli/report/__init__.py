"""Pictures of what a run and its model do: numbers and texts in, figures and pages out."""
