"""fideslang (IAB Tech Lab): datasets, a system and its privacy declarations, from the plan of a pipeline."""
