"""Before task=acme/greet, on each node: a stamp for its ranks."""

from primus.node.hooks.spec import Context, Hooks


class Stamp(Hooks):
    """Runs by itself: its folder names the task, its number the order."""

    timeout = 30

    def before_task(self, context: Context) -> None:
        """What is set here reaches the ranks, unless the user has set it."""
        context.set_environment("ACME_STAMP", f"node {context.node_rank} of {context.plan.job.nodes}")
