// Package recorded reads recorded pages of an account's fills and done orders, as the
// REST API of Coinbase Exchange gives them, for the paper bot to reconcile.
//
// # Promise
//
// Amounts are exact, whatever their notation. Pages overlap in real recordings: a
// record that comes again with the same content is counted as a repeat and given once;
// with other content it is an error, since one of the two is wrong and nobody
// can say which. What matters must be there and make sense: ids, sides, sizes, prices, fees,
// times. Fields that are not needed are not looked at.
//
// A list of orders is only complete for the time that its pages were asked for, so
// [Orders] says which that is. An order outside of it is unknown, never missing.
//
// # Usage
//
// [LoadFills] and [LoadOrders] read a file, [ReadFills] and [ReadOrders] any reader, record
// by record. A file is one JSON list of pages:
//
//	[{"url": "https://...?start_date=2025-06-15&...", "records": [{...}, ...]}, ...]
//
// # Failure
//
// The first thing wrong ends the reading and nothing is returned beside the error. It is
// an [*Error], [ErrMalformed] to errors.Is, that names the file, the line, the page, the
// record (both counted from 1) and the field. A reader's own error is passed on.
//
// # Testing
//
// The facts of the recorded data are asserted where it is present. Both readers have
// fuzz targets.
package recorded
