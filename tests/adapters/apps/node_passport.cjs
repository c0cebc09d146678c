// Log-in by passport, as its guide has it: it calls regenerate() and save().
'use strict';
const passport = require('passport');
const { Strategy } = require('passport-strategy');

class ByName extends Strategy {
  name = 'by-name';
  authenticate(req) {
    const name = new URL(req.url, 'http://app/').searchParams.get('name');
    return name === 'nobody' ? this.fail() : this.success({ id: 7, name });
  }
}

module.exports = app => {
  passport.use(new ByName());
  passport.serializeUser((user, done) => done(null, user));
  passport.deserializeUser((user, done) => done(null, user));
  app.use(passport.initialize());
  app.use(passport.session());
  app.post('/passport/login', passport.authenticate('by-name', { successRedirect: '/passport/me' }));
  app.get('/passport/me', (req, res) => res.json(req.user ?? null));
  app.post('/passport/logout', (req, res, next) => req.logout(error => (error ? next(error) : res.redirect('/passport/me'))));
};
