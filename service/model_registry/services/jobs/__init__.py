"""Jobs: trainings that outlive the request for them, in steps that are recorded before they are sent."""
