"""Floor 1: visits and views, for people. Stores write them with every beat; this room reads, adds up and exports."""
