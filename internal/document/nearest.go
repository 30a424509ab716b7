package document

import "strings"

// OneOf lists values in words.
func OneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

// Nearest returns the known name that somebody who wrote s probably meant, or
// nothing.
func Nearest(s string, known []string) string {
	if len(s) > 64 {
		return ""
	}
	best, distance := "", len(s)/3+2
	for _, k := range known {
		if strings.EqualFold(k, s) {
			return k
		}
		if len(s) > 2 && strings.HasPrefix(strings.ToLower(k), strings.ToLower(s)) {
			best, distance = k, 0
		}
		if d := Distance(strings.ToLower(s), strings.ToLower(k)); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	return best
}

// Distance is the number of bytes to add, drop or change to make b of a.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
