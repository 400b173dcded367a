"""The data of the demo: survey, responses, places and teams, made up but always the same for one seed."""
