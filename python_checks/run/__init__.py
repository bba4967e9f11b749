"""``rollout run`` and ``rollout gate --wait``: playbooks through ansible-runner, shown step by step, nothing secret kept."""
