"""Medical image segmentation parts: tasks, data, models, losses, metrics and training."""
