// Botops is the playbook's quick-reference card, and every bot.utils command and script of
// it, as one command line. It asks a running bot over its control socket, and does what it
// can without one from its configuration.
//
//	botops stop --why "prices are wrong"                 STOP TRADING IMMEDIATELY
//	botops status                                        check system status
//	botops emergency_backup                              backup current state
//	botops show_positions                                view open positions
//	CONFIRM=yes botops close_all_positions --why "..."   close all positions
//	botops rollback stable-latest --dry-run=false        rollback to last stable
//	botops page_oncall "SEV-1: Trading system down"      contact on-call
//
// The document's own names do the same, with bot.utils., scripts/ and .sh or without:
//
//	botops bot.utils.slow_query_log --threshold=100ms
//	botops ./scripts/emergency_backup.sh
//
// A bot embeds package control to be asked. Without it, or with a bot that hangs, stop
// places the emergency flag, and says so by its exit status unless a closed gate could be
// confirmed.
//
// Exit status:
//
//	0  it was done, or all is well; of stop: the gate is closed
//	1  it was tried and has failed
//	2  a mistake on the command line, in its configuration or in a file that was named
//	3  stop: the flag was placed, and that the gate is closed could not be confirmed
//	4  no bot is running, and it cannot be done without one
//	5  not wired: the bot, or the configuration, has not what it takes
//	6  refused: it was not confirmed, or a law stands in the way; nothing was changed
//	7  it was looked, and something is not well
//	8  not known whether it was done: look before doing it again
//	9  no rights: the socket or a file is another user's
package main
