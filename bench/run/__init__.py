"""Running a plan: search, schedule, resume. The only room that knows Ray."""
