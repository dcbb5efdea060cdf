package sallyport.request

allow if nonsense(1)
