"""What callstream and the person who runs it say to each other: errors that end a command, and times as text."""
