"""MaxText: its own pre-train entry, given options, documents and a place for the metrics."""
