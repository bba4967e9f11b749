"""Tests of the game host's scripts as they were before the rollout."""
