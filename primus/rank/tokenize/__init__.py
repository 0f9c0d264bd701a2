"""`task=data/tokenize`: text to token files of Megatron. Needs numpy and the tokenizers library alone."""
