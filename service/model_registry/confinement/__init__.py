"""Walls around a process of ours that reads what strangers wrote. Linux only; knows of no registry and no gateway."""
