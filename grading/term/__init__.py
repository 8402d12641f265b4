"""What is done with the work of everybody: from release to the table of grades."""
