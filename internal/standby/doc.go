// Package standby keeps a copy of an instance at a target, a folder, an S3
// bucket or another host over SFTP, and makes a server of that copy: the
// primary ships, a follower keeps up, and one of the followers is promoted.
// Only the server's composition root imports it, and only this package imports
// litestream.
//
// At the target there is
//
//	record/<revision>        which epoch of the instance rules, and where its data are
//	epoch-<epoch>/state/     the databases as litestream keeps them,
//	epoch-<epoch>/events/    for each epoch apart: who was superseded spoils nothing
//	epoch-<epoch>/secrets    keys and configuration, encrypted with age
//	epoch-<epoch>/alive      when the primary shipped last
//	epoch-<epoch>/images     changes whenever the repository below has
//	repository/              objects of images, confidential by themselves
//	followers/<owner>        how far each follower is
//
// Whoever rules is who made the highest revision of the record; a revision can
// be made once. A primary looks for the next revision after everything it ships
// and only then calls it safe; who is promoted makes the next revision first
// and then reads what was shipped. So nothing is lost that was called safe.
package standby
