SELECT epoch, last_key, last_attempt FROM node WHERE NOT copying
