"""Master keys over time: new versions for new files, files encrypted anew, versions destroyed.

rotating    `rotate`: a new version, and files of old versions rewritten where that is asked for
rewriting   files in force under the newest versions, told in receipts of kind `rotate`
shredding   `shred`: what becomes unreadable is listed first; then a version is destroyed
telling     what the audit log is told
"""
