"""`primus-cli`: the grammar of AMD's launcher, translated to overrides of the one command."""
