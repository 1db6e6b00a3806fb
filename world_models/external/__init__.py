"""Other people's world models as simulators: each is opened by its address, see `registry.open_external`."""
