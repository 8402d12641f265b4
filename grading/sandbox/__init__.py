"""The walls around code written by strangers, and the line that leads through them."""
