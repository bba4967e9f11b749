"""The match set: one YAML file is one match, see README.md. A package only so that the files are installed with the code."""
