"""The teaching kit: editions of the course for students, instructors, nbgrader and learning-management systems; slides."""
