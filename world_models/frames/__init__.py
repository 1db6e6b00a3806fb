"""What simulators of frames share: their data, training and evaluation, and how they keep batches apart."""
