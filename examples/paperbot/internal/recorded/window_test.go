package recorded

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/andon-go/andon/reconcile"
	"github.com/stretchr/testify/require"
)

// asked returns the url of a query for days of June 2025.
func asked(from, to, limit int, more string) string {
	return fmt.Sprintf("https://example.com/orders?start_date=2025-06-%02d&end_date=2025-06-%02d&limit=%d&product_id=BTC-USDT&sortedBy=created_at&sorting=desc&status%%5B%%5D=done%s", from, to, limit, more)
}

// orderAt returns a record created on a day of June 2025.
func orderAt(day int) string {
	r := strings.Replace(goodOrder, `"o1"`, fmt.Sprintf(`"o%d"`, day), 1)
	return strings.ReplaceAll(r, "2025-06-16", fmt.Sprintf("2025-06-%02d", day))
}

func at(day int) time.Time { return time.Date(2025, 6, day, 3, 20, 17, 0, time.UTC) }

func days(from, to int) reconcile.Window {
	return reconcile.Window{From: time.Date(2025, 6, from, 0, 0, 0, 0, time.UTC), To: time.Date(2025, 6, to, 0, 0, 0, 0, time.UTC)}
}

func TestTheWindowIsWhatThePagesCoverWithoutAGap(t *testing.T) {
	after := func(day int) string { return "&after=" + at(day).Format(time.RFC3339) }
	other := strings.Replace(asked(17, 18, 9, ""), "BTC-", "ETH-", 1)
	for name, c := range map[string]struct {
		pages []string
		want  reconcile.Window
	}{
		"one page that is not full":    {[]string{pageOf(asked(15, 20, 2, ""), orderAt(16))}, days(15, 20)},
		"an empty page":                {[]string{pageOf(asked(15, 20, 2, ""))}, days(15, 20)},
		"a full page, more may come":   {[]string{pageOf(asked(15, 20, 2, ""), orderAt(18), orderAt(17))}, reconcile.Window{From: at(17).Add(1), To: days(15, 20).To}},
		"a second page to the end":     {[]string{pageOf(asked(15, 20, 2, ""), orderAt(18), orderAt(17)), pageOf(asked(15, 20, 2, after(17)), orderAt(16))}, days(15, 20)},
		"a page between is missing":    {[]string{pageOf(asked(15, 20, 2, ""), orderAt(19), orderAt(18)), pageOf(asked(15, 20, 2, after(17)), orderAt(16))}, reconcile.Window{From: at(18).Add(1), To: days(15, 20).To}},
		"the first page is missing":    {[]string{pageOf(asked(15, 20, 2, after(17)), orderAt(16))}, reconcile.Window{}},
		"days that touch":              {[]string{pageOf(asked(17, 20, 2, "")), pageOf(asked(15, 17, 2, ""))}, days(15, 20)},
		"days within":                  {[]string{pageOf(asked(15, 20, 2, "")), pageOf(asked(17, 18, 2, ""))}, days(15, 20)},
		"a gap: the longer":            {[]string{pageOf(asked(10, 12, 2, "")), pageOf(asked(15, 20, 2, ""))}, days(15, 20)},
		"no dates":                     {[]string{pageOf("https://example.com/orders?limit=9&sortedBy=created_at&sorting=desc&status%5B%5D=done")}, reconcile.Window{}},
		"no limit":                     {[]string{pageOf(strings.Replace(asked(15, 20, 2, ""), "limit=2&", "", 1), orderAt(17))}, reconcile.Window{From: at(17).Add(1), To: days(15, 20).To}},
		"sorted the other way":         {[]string{pageOf(strings.Replace(asked(15, 20, 2, ""), "desc", "asc", 1))}, reconcile.Window{}},
		"not sorted as it says":        {[]string{pageOf(asked(15, 20, 9, ""), orderAt(16), orderAt(17))}, reconcile.Window{}},
		"two products":                 {[]string{pageOf(asked(15, 20, 9, "")), pageOf(other)}, reconcile.Window{}},
		"not only those that are done": {[]string{pageOf(asked(15, 20, 9, "&status%5B%5D=open"))}, reconcile.Window{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadOrders(strings.NewReader(file(c.pages...)), "f.json")
			require.NoError(t, err)
			require.Equal(t, c.want, got.Window)
		})
	}
}

func TestADateThatIsNoneIsNamed(t *testing.T) {
	for name, url := range map[string]string{
		`start_date is "yesterday"`: strings.Replace(goodURL, "2025-06-15", "yesterday", 1),
		`end_date is "2025-02-30"`:  strings.Replace(goodURL, "2025-06-20", "2025-02-30", 1),
		`after is "31641102"`:       goodURL + "&after=31641102",
		"is not a url":              "https://example.com/%zz",
		`invalid URL escape "%zz"`:  goodURL + "&x=%zz",
	} {
		_, err := ReadOrders(strings.NewReader(file(pageOf(url))), "f.json")
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, `f.json:2: page 1, field "url"`)
	}
}
