"""``rollout report``: plan, verdicts and evidence as one HTML file that needs nothing else, readable on a phone."""
