"""Controller side of gates and evidence: files of the plan, what is shown of a verdict, and the subcommands around
the
ledger."""
