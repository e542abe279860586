"""The two steps of the journey, as lists of calls. Neither touches network, disk or clock."""
