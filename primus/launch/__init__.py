"""What runs where the user types: compose, plan, start, record, replay."""
