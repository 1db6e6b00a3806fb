"""World models: learned simulators, the World Action Model, and the trajectories they are trained on."""
