package notify

// Targets returns how many addresses a courier remembers.
func Targets(c *Courier) int { return len(c.targets.all) }
