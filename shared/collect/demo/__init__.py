"""The made-up data of the demo: survey, responses, places and teams. The same seed gives the same data."""
