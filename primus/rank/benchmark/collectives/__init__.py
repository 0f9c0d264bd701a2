"""`task=benchmark/collectives`: torch.distributed's operations, over NCCL or RCCL on GPUs and gloo on a CPU."""
